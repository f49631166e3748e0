"""The common part of the readers: a job on stdin; the listed keys and the hashes of the objects on stdout."""
import hashlib
import json
import sys


def digest(data):
    return hashlib.sha256(data).hexdigest()


def main(read):
    job = json.load(sys.stdin)
    listed, whole, part = read(job)
    json.dump(
        {
            "listed": sorted(listed),
            "whole": {key: digest(whole(key)) for key in job["keys"]},
            "ranges": [digest(part(key, start, end)) for key, start, end in job["ranges"]],
        },
        sys.stdout,
    )
