"""pyarrow, which uses the AWS SDK for C++."""
from reader import main


def read(job):
    from pyarrow import fs as arrow

    scheme, host = job["endpoint"].split("://")
    fs = arrow.S3FileSystem(
        access_key=job["accessKeyId"],
        secret_key=job["secretAccessKey"],
        scheme=scheme,
        endpoint_override=host,
        region="us-east-1",
        force_virtual_addressing=False,
        **({"tls_ca_file_path": job["caFile"]} if "caFile" in job else {}),
    )
    root = job["bucket"]

    def whole(key):
        with fs.open_input_stream(f"{root}/{key}") as file:
            return file.read()

    def part(key, start, end):
        with fs.open_input_file(f"{root}/{key}") as file:
            file.seek(start)
            return file.read(end - start)

    found = fs.get_file_info(arrow.FileSelector(root, recursive=True))
    listed = [info.path.removeprefix(f"{root}/") for info in found if info.type == arrow.FileType.File]
    return listed, whole, part


main(read)
