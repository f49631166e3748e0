/** Uploads the content to real servers. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Azurite } from '#test/support/azurite.ts';
import { ORIGIN_BUCKET } from '#test/support/replicas.ts';
import type { Versitygw } from '#test/support/versitygw.ts';
import { CONTENT, type Content } from './content.ts';
import { CREDENTIALS } from './request.ts';
import { SCRATCH_BUCKET } from './requests.ts';

export async function fillVersitygw(origin: Versitygw): Promise<void> {
  await origin.createBucket(SCRATCH_BUCKET);
  for (const content of CONTENT) {
    const { key, body, headers, partSizes } = content;
    if (partSizes === undefined) await origin.putObject(ORIGIN_BUCKET, key, body, headers);
    else await uploadInParts(origin.endpoint, content, partSizes);
  }
}

/** Azure has no Expires, no empty metadata values, no checksums of S3, and no parts. */
export async function fillAzurite(azurite: Azurite): Promise<void> {
  await azurite.createContainer(SCRATCH_BUCKET);
  for (const { key, body, headers } of CONTENT) {
    const kept = Object.entries(headers).filter(
      ([name, value]) => value !== '' && !/^(?:expires|x-amz-checksum-.*)$/.test(name),
    );
    await azurite.putBlob(ORIGIN_BUCKET, key, body, Object.fromEntries(kept));
  }
}

async function uploadInParts(endpoint: string, { key, body }: Content, sizes: readonly number[]): Promise<void> {
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: { ...CREDENTIALS } });
  const upload = { Bucket: ORIGIN_BUCKET, Key: key };
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(upload));
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  let at = 0;
  for (const [index, size] of sizes.entries()) {
    const PartNumber = index + 1;
    const part = { ...upload, UploadId, PartNumber, Body: body.subarray(at, at + size) };
    Parts.push({ PartNumber, ETag: (await client.send(new UploadPartCommand(part))).ETag });
    at += size;
  }
  await client.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts } }));
  client.destroy();
}
