/** Generates docs/reference/cli.md from the program's own help. */
import { COMMANDS } from '#cache/cli/commands/list.ts';
import { CHECKS } from '#cache/cli/doctor/examine.ts';
import { commandHelp, optionsHelp, programHelp } from '#cache/cli/frame/help.ts';

export function cliPage(): string {
  const commands = COMMANDS.map((command) => `## ${command.name}\n\n${code(commandHelp(command))}`);
  return [introduction(), ...commands, doctorChecks(), globalOptions(), exitCodes()].join('\n');
}

function introduction(): string {
  return `<!-- Generated from cache/cli/ by hack/gen.ts. Do not edit: change cache/cli/ and run npm run gen. -->
# Command line

\`kubectl orca\` is a kubectl plugin. It reaches the pods of a cache through the API server's proxy
(\`pods/NAME:8442/proxy\`), so it needs no port-forward and no address of a pod.

\`\`\`sh
hack/release cli --platform linux-x64         # in a checkout: writes dist/linux-x64/kubectl-orca, which needs no Node.js
install dist/linux-x64/kubectl-orca /usr/local/bin/
kubectl orca status
\`\`\`

\`hack/release cli\` also builds executables for Linux on arm64, macOS and Windows, and a package that
\`npm install --global\` installs where Node.js 26 is; in a checkout, \`npm install --global .\` does the same. The executables
are not signed: on a Mac, run \`codesign --force --sign - kubectl-orca\` once.

The same program is in the image of the cache. Without an API server, it asks the pod itself:

\`\`\`sh
kubectl -n ml exec deploy/models -- node cache/cli/main.ts explain s3://models/a.bin --pod-url http://127.0.0.1:8442
\`\`\`

**Rights.** For the commands that only read, the first three rules of this Role are enough. \`purge\` needs the fourth,
because it runs a command in a pod; \`prewarm\`, \`pin\`, \`unpin\` and \`pins\` need the last one:

\`\`\`yaml
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: orca-viewer, namespace: ml }
rules:
  - { apiGroups: [orcacache.dev], resources: [orcacaches], verbs: [get, list] }
  - { apiGroups: [""], resources: [pods], verbs: [get, list] }
  - { apiGroups: [""], resources: [pods/proxy], verbs: [get] }
  - { apiGroups: [""], resources: [pods/exec], verbs: [get, create] }
  - { apiGroups: [orcacache.dev], resources: [orcaprewarms], verbs: [get, list, create, delete] }
\`\`\`

**Network policies.** With \`spec.networkPolicy.enabled\`, only the operator and Prometheus may reach the ops port. Where the
requests of the API server come from depends on the network plugin: add a policy that admits them to port 8442.

**Output.** \`-o json\` and \`-o yaml\` have an \`apiVersion\`, which changes only if a field is removed or changes its meaning.
Tables are for people and may change.

${code(programHelp(COMMANDS))}`;
}

function doctorChecks(): string {
  const rows = CHECKS.map(({ id, title }) => `| \`${id}\` | ${title} |`);
  return ['## Checks of doctor', '', '| check | passes if |', '|---|---|', ...rows, ''].join('\n');
}

function globalOptions(): string {
  return `## Options of every command\n\n${code(optionsHelp())}`;
}

function exitCodes(): string {
  return `## Exit codes

| code | meaning |
|---|---|
| 0 | Success. \`doctor\`: no error, but maybe warnings. \`prewarm --wait\`: everything is stored |
| 1 | Failure, with one line on stderr. \`doctor\`: at least one error. \`prewarm --wait\`: the run failed, or did not end within \`--timeout\` |
| 130 | Interrupted by Ctrl-C. A prewarm continues |
`;
}

function code(text: string): string {
  return `\`\`\`text\n${text.replaceAll('\t', '        ').trimEnd()}\n\`\`\`\n`;
}
