/** Runs the demo in a cluster that is up; `hack/demo` is what a person types. */
import { join } from 'node:path';
import { awsArguments } from './aws-cli.ts';
import { writeDiagnosis } from './diagnosis.ts';
import { Failure, messageOf } from './failure.ts';
import { removeAll, type Installation } from './installation.ts';
import { openKubectl } from './kubectl.ts';
import { CACHE, CLIENT_BUCKET, NAMESPACE, OPERATOR_NAMESPACE, RELEASE } from './names.ts';
import { parseOptions, type Options } from './options.ts';
import { openProgress, type Progress } from './progress.ts';
import { playScenario, type Outcome } from './scenario.ts';

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
    const outcome = await playScenario(installation, options, interruption.signal);
    progress.step('DONE: all that was read equals its source, and the origin gave each byte once');
    if (options.keep) printWhatNext(options, outcome);
    else await clean(options, progress);
    return EXIT.done;
  } catch (error) {
    const interrupted = interruption.signal.aborted;
    if (!interrupted) await explain(options, progress, error);
    if (options.keep && !interrupted) progress.step('left running, because of --keep');
    else
      await clean(options, progress).catch((reason: unknown) =>
        progress.step(`cleaning up failed: ${messageOf(reason)}`),
      );
    return interrupted ? EXIT.interrupted : EXIT.failed;
  }
}

function installationFor(options: Options, progress: Progress, signal: AbortSignal | undefined): Installation {
  const { kubeconfig, imagePrefix, imageTag, byRelay } = options;
  return { kubectl: openKubectl(kubeconfig, signal), kubeconfig, imagePrefix, imageTag, byRelay, progress, signal };
}

/** An interrupt ends the demo, and not its cleaning up. */
async function clean(options: Options, progress: Progress): Promise<void> {
  if (options.clusterGoes) return;
  progress.step('removing everything: the cache, the operator, the namespaces');
  await removeAll(installationFor(options, progress, undefined));
  progress.step('nothing of the demo is left in the cluster');
}

async function explain(options: Options, progress: Progress, error: unknown): Promise<void> {
  progress.blank();
  for (const line of messageOf(error).split('\n')) progress.step(`FAILED: ${line}`);
  const file = join(options.logFolder, `demo-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.log`);
  try {
    await writeDiagnosis(options.kubeconfig, file, error);
    progress.step(`state and logs of the cluster: ${file}`);
  } catch (reason) {
    progress.step(`state and logs could not be written: ${messageOf(reason)}`);
  }
}

function printWhatNext({ kubeconfig, byRelay }: Options, { edge, example }: Outcome): void {
  const local = 'http://127.0.0.1:8080';
  const endpoint = byRelay ? local : edge;
  const aws = `aws ${awsArguments(endpoint).join(' ')}`;
  const target = `'s3://${CLIENT_BUCKET}/${example.key}'`;
  const range = `--range bytes=0-99 /tmp/range.bin`;
  const lines = [
    'It is left running. What you could type next:',
    '',
    `  export KUBECONFIG=${kubeconfig}`,
    `  kubectl -n ${NAMESPACE} get orcacaches,pods -o wide`,
    `  kubectl -n ${NAMESPACE} describe orcacache ${CACHE}`,
    ...(byRelay ? [`  kubectl -n ${NAMESPACE} port-forward service/${CACHE} 8080:80 &`] : []),
    `  ${aws} s3 cp ${target} - | sha256sum    # ${example.sha256}`,
    `  ${aws} s3api get-object --bucket ${CLIENT_BUCKET} --key '${example.key}' ${range}`,
    `  curl -sI '${endpoint}/${CLIENT_BUCKET}/${example.key.split('/').map(encodeURIComponent).join('/')}'`,
    `  kubectl -n ${NAMESPACE} patch orcacache ${CACHE} --type=merge -p '{"spec":{"chunking":{"readahead":4}}}'`,
    `  kubectl -n ${NAMESPACE} scale orcacache ${CACHE} --replicas=2`,
    '',
    'and to remove it:',
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
