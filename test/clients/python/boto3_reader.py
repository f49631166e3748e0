"""boto3: paginated lists, transfers in parallel ranges with If-Match, ranged GETs, default checksums."""
import io
import pathlib
import tempfile

from reader import main


def read(job):
    import boto3
    from boto3.s3.transfer import TransferConfig
    from botocore.config import Config

    s3 = boto3.client(
        "s3",
        endpoint_url=job["endpoint"],
        region_name="us-east-1",
        aws_access_key_id=job["accessKeyId"],
        aws_secret_access_key=job["secretAccessKey"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    config = TransferConfig(multipart_threshold=4 << 20, multipart_chunksize=4 << 20, max_concurrency=4)

    def whole(key):
        # Into a file, with one thread per range, and into memory.
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "downloaded")
            s3.download_file(job["bucket"], key, str(path), Config=config)
            data = path.read_bytes()
        body = io.BytesIO()
        s3.download_fileobj(job["bucket"], key, body, Config=config)
        assert body.getvalue() == data, key
        return data

    def part(key, start, end):
        return s3.get_object(Bucket=job["bucket"], Key=key, Range=f"bytes={start}-{end - 1}")["Body"].read()

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=job["bucket"], PaginationConfig={"PageSize": 5})
    listed = [item["Key"] for page in pages for item in page.get("Contents", [])]
    pages = s3.get_paginator("list_objects").paginate(Bucket=job["bucket"], PaginationConfig={"PageSize": 7})
    assert [item["Key"] for page in pages for item in page["Contents"]] == listed
    for key in listed:
        head = s3.head_object(Bucket=job["bucket"], Key=key)
        first = s3.get_object(Bucket=job["bucket"], Key=key, PartNumber=1, IfMatch=head["ETag"])
        assert len(first["Body"].read()) == head["ContentLength"], key
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [job["bucket"]]
    return listed, whole, part


main(read)
