/** Runs the demo in a running cluster; `hack/demo` starts this program. */
import { join } from 'node:path';
import { awsArguments } from './aws-cli.ts';
import { writeDiagnosis } from './diagnosis.ts';
import { Failure, messageOf } from './failure.ts';
import { removeAll, type Installation } from './installation.ts';
import { openKubectl } from './kubectl.ts';
import { CACHE, CLIENT_BUCKET, NAMESPACE, OPERATOR_NAMESPACE, RELEASE } from './names.ts';
import { parseOptions, type Options } from './options.ts';
import { openProgress, type Progress } from './progress.ts';
import { runScenario, type Outcome } from './scenario.ts';

const EXIT = { done: 0, failed: 1, interrupted: 130 } as const;

class Interrupted extends Failure {}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const progress = openProgress(options.startedMs);
  const interruption = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(name, () => {
      if (interruption.signal.aborted) return;
      progress.step('interrupted: cleaning up');
      interruption.abort(new Interrupted('interrupted'));
    });

  const installation = installationFor(options, progress, interruption.signal);
  try {
    const outcome = await runScenario(installation, options, interruption.signal);
    progress.step('DONE: every byte read equals its source, and the origin sent each byte once');
    if (options.keep) printNextCommands(options, outcome);
    else await clean(options, progress);
    return EXIT.done;
  } catch (error) {
    const interrupted = interruption.signal.aborted;
    if (!interrupted) await explain(options, progress, error);
    if (options.keep && !interrupted) progress.step('everything keeps running because of --keep');
    else
      await clean(options, progress).catch((reason: unknown) =>
        progress.step(`cleaning up failed: ${messageOf(reason)}`),
      );
    return interrupted ? EXIT.interrupted : EXIT.failed;
  }
}

function installationFor(options: Options, progress: Progress, signal: AbortSignal | undefined): Installation {
  const { kubeconfig, imagePrefix, imageTag, viaPortForward } = options;
  return {
    kubectl: openKubectl(kubeconfig, signal),
    kubeconfig,
    imagePrefix,
    imageTag,
    viaPortForward,
    progress,
    signal,
  };
}

/** Without the abort signal: an interrupt ends the demo, not the cleanup. */
async function clean(options: Options, progress: Progress): Promise<void> {
  if (options.clusterIsTemporary) return;
  progress.step('removing the cache, the operator and the namespaces');
  await removeAll(installationFor(options, progress, undefined));
  progress.step('removed everything that the demo had installed');
}

async function explain(options: Options, progress: Progress, error: unknown): Promise<void> {
  progress.blank();
  for (const line of messageOf(error).split('\n')) progress.step(`FAILED: ${line}`);
  const file = join(options.logFolder, `demo-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.log`);
  try {
    await writeDiagnosis(options.kubeconfig, file, error);
    progress.step(`state and logs of the cluster: ${file}`);
  } catch (reason) {
    progress.step(`could not write the state and logs of the cluster: ${messageOf(reason)}`);
  }
}

function printNextCommands({ kubeconfig, viaPortForward }: Options, { edge, example }: Outcome): void {
  const local = 'http://127.0.0.1:8080';
  const endpoint = viaPortForward ? local : edge;
  const aws = `aws ${awsArguments(endpoint).join(' ')}`;
  const target = `'s3://${CLIENT_BUCKET}/${example.key}'`;
  const range = `--range bytes=0-99 /tmp/range.bin`;
  const lines = [
    'Everything keeps running. Commands to try:',
    '',
    `  export KUBECONFIG=${kubeconfig}`,
    `  kubectl -n ${NAMESPACE} get orcacaches,pods -o wide`,
    `  kubectl -n ${NAMESPACE} describe orcacache ${CACHE}`,
    `  kubectl -n ${NAMESPACE} get orcaprewarms`,
    ...(viaPortForward ? [`  kubectl -n ${NAMESPACE} port-forward service/${CACHE} 8080:80 &`] : []),
    `  ${aws} s3 cp ${target} - | sha256sum    # ${example.sha256}`,
    `  ${aws} s3api get-object --bucket ${CLIENT_BUCKET} --key '${example.key}' ${range}`,
    `  curl -sI '${endpoint}/${CLIENT_BUCKET}/${example.key.split('/').map(encodeURIComponent).join('/')}'`,
    `  kubectl -n ${NAMESPACE} patch orcacache ${CACHE} --type=merge -p '{"spec":{"chunking":{"readahead":4}}}'`,
    `  kubectl -n ${NAMESPACE} scale orcacache ${CACHE} --replicas=2`,
    '',
    'To remove it:',
    '',
    `  kubectl -n ${NAMESPACE} delete orcacache ${CACHE}`,
    `  helm -n ${OPERATOR_NAMESPACE} uninstall ${RELEASE}`,
    `  kubectl delete namespace ${NAMESPACE} ${OPERATOR_NAMESPACE}`,
  ];
  console.log(`\n${lines.join('\n')}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`demo: ${messageOf(error)}`);
  process.exitCode = EXIT.failed;
}
