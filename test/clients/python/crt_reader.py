"""aws-c-s3, the library of mountpoint and of the AWS CLI's CRT transfers: it detects sizes by ranges and parts."""
import io
from urllib.parse import quote

from reader import main

MIB = 1 << 20


def read(job):
    import botocore.session
    from awscrt.auth import AwsCredentialsProvider
    from awscrt.http import HttpHeaders, HttpRequest
    from awscrt.s3 import S3RequestType
    from s3transfer.crt import BotocoreCRTRequestSerializer, CRTTransferManager, create_s3_crt_client

    session = botocore.session.Session()
    session.set_credentials(job["accessKeyId"], job["secretAccessKey"])
    where = {"region_name": "us-east-1", "endpoint_url": job["endpoint"]}
    client = create_s3_crt_client(
        "us-east-1",
        crt_credentials_provider=AwsCredentialsProvider.new_static(job["accessKeyId"], job["secretAccessKey"]),
        part_size=5 * MIB,
        use_ssl=job["endpoint"].startswith("https:"),
    )
    manager = CRTTransferManager(client, BotocoreCRTRequestSerializer(session, dict(where)))

    def whole(key):
        body = io.BytesIO()
        manager.download(job["bucket"], key, body).result()
        return body.getvalue()

    def part(key, start, end):
        host = job["endpoint"].split("://")[1]
        headers = HttpHeaders([("host", host), ("range", f"bytes={start}-{end - 1}")])
        request = HttpRequest("GET", f"/{job['bucket']}/{quote(key)}", headers)
        pieces = []
        transfer = client.make_request(
            type=S3RequestType.GET_OBJECT,
            request=request,
            on_body=lambda chunk, offset, **_: pieces.append((offset, bytes(chunk))),
        )
        transfer.finished_future.result()
        return b"".join(chunk for _, chunk in sorted(pieces))

    # The library itself does not list.
    pages = session.create_client("s3", **where).get_paginator("list_objects_v2").paginate(Bucket=job["bucket"])
    return [item["Key"] for page in pages for item in page["Contents"]], whole, part


main(read)
