/** `kubectl orca completion`: shell scripts that complete by asking the program. */
import type { Command } from '#cache/cli/frame/command.ts';
import { UsageError } from '#cache/cli/frame/errors.ts';

/** The hidden command that prints candidates, one a line, as cobra's `__complete` does. */
export const COMPLETE = '__complete';

const BASH = `# bash completion for kubectl-orca: source <(kubectl orca completion bash)
_kubectl_orca() {
  local IFS=$'\\n'
  mapfile -t COMPREPLY < <(kubectl-orca ${COMPLETE} "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | grep -v '^:')
}
complete -F _kubectl_orca kubectl-orca
`;

const ZSH = `#compdef kubectl-orca
# zsh completion for kubectl-orca: source <(kubectl orca completion zsh)
_kubectl_orca() {
  local -a candidates
  candidates=("\${(@f)$(kubectl-orca ${COMPLETE} "\${(@)words[2,CURRENT]}" 2>/dev/null | grep -v '^:')}")
  compadd -a candidates
}
compdef _kubectl_orca kubectl-orca
`;

/** kubectl runs a program of this name to complete the arguments of a plugin. */
const KUBECTL = `#!/bin/sh
# Save this as kubectl_complete-orca in a folder of PATH, executable: kubectl's own completion then completes the plugin.
exec kubectl-orca ${COMPLETE} "$@"
`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, kubectl: KUBECTL };

export const completion: Command = {
  name: 'completion',
  summary: 'Print a script for shell completion (bash, zsh, kubectl)',
  description: `Print a script for shell completion: of kubectl-orca in bash or zsh, or the program by which kubectl's own completion
completes "kubectl orca".`,
  args: 'bash|zsh|kubectl',
  maxArgs: 1,
  completes: 'shell',
  examples: [
    { title: 'bash, in ~/.bashrc', command: 'source <(kubectl orca completion bash)' },
    { title: 'zsh, in ~/.zshrc', command: 'source <(kubectl orca completion zsh)' },
    {
      title: "For kubectl's own completion",
      command: 'kubectl orca completion kubectl > ~/bin/kubectl_complete-orca && chmod +x ~/bin/kubectl_complete-orca',
    },
  ],
  flags: [],
  async run({ args, io }) {
    const [shell = ''] = args;
    const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
    if (script === undefined)
      throw new UsageError(`unknown shell '${shell}': one of ${Object.keys(SCRIPTS).join(', ')}`);
    io.out(script);
    return 0;
  },
};

export const SHELLS: readonly string[] = Object.keys(SCRIPTS);
