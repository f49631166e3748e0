/** `x-amz-expected-bucket-owner`: a request that is about a bucket of this owner only. */
import { OrcaError } from '#cache/core/errors.ts';
import type { Engine } from '#cache/engine/engine.ts';
import { abortOnClose } from '#cache/http/listener/http-listener.ts';
import type { EdgeCall } from './call.ts';

/** AWS account ids are twelve digits; other servers use names. It is sent to the origin in a header. */
const ACCOUNT = /^[\w.@+=,-]{1,64}$/;

/** A bucket of another owner must not be served. */
export async function expectOwner(
  engine: Pick<Engine, 'checkOwner'>,
  { request, response, target }: EdgeCall,
  owner: string,
): Promise<void> {
  if (!ACCOUNT.test(owner))
    throw new OrcaError(
      'invalid_argument',
      'The value of the expected bucket owner parameter must be an AWS account ID',
      {
        fields: { ArgumentName: 'x-amz-expected-bucket-owner' },
      },
    );
  await engine.checkOwner(target, owner, abortOnClose(request, response));
}
