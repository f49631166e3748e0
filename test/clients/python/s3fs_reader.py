"""s3fs (fsspec): prefixes as directories, files with read-ahead and seeks."""
from reader import main


def read(job):
    import s3fs

    fs = s3fs.S3FileSystem(
        key=job["accessKeyId"],
        secret=job["secretAccessKey"],
        endpoint_url=job["endpoint"],
        client_kwargs={"region_name": "us-east-1"},
        config_kwargs={"s3": {"addressing_style": "path"}},
    )
    root = job["bucket"]

    def whole(key):
        return fs.cat_file(f"{root}/{key}")

    def part(key, start, end):
        with fs.open(f"{root}/{key}", "rb", block_size=1 << 20) as file:
            file.seek(start)
            return file.read(end - start)

    listed = [path.removeprefix(f"{root}/") for path in fs.find(root)]
    assert fs.isdir(f"{root}/dir") and not fs.exists(f"{root}/nothing")
    return listed, whole, part


main(read)
