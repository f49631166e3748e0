/** The three commands to paste: each reads the same object. */
import { encodePath } from '#cache/core/percent.ts';

/** Stands where no key is known. */
export const KEY = 'KEY';

export function pasteCommands(edge: string, bucket: string, key: string): readonly string[] {
  const object = `${edge}/${bucket}/${key === KEY ? KEY : encodePath(key)}`;
  // Both clients want some key and region; the cache ignores them.
  const aws = 'AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any AWS_DEFAULT_REGION=us-east-1';
  const client = `boto3.client("s3", endpoint_url="${edge}", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any")`;
  const body = `s3.get_object(Bucket=${JSON.stringify(bucket)}, Key=${JSON.stringify(key)})["Body"].read()`;
  return [
    `curl -sS -o /dev/null -w '%{size_download} bytes in %{time_total} s\\n' ${quoted(object)}`,
    `${aws} aws --endpoint-url ${edge} s3 cp ${quoted(`s3://${bucket}/${key}`)} - | wc -c`,
    `python3 -c ${quoted(`import boto3; s3 = ${client}; print(len(${body}), "bytes")`)}`,
  ];
}

/** In single quotes, if a shell would read it otherwise. */
function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
