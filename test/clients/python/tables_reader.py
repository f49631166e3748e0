"""polars and duckdb read columns of a Parquet file through the cache."""
import json
import sys


def main():
    job = json.load(sys.stdin)
    engine = sys.argv[1]
    url = f"s3://{job['bucket']}/{job['table']}"
    if engine == "polars":
        import polars

        options = {
            "aws_access_key_id": job["accessKeyId"],
            "aws_secret_access_key": job["secretAccessKey"],
            "aws_region": "us-east-1",
            "aws_endpoint_url": job["endpoint"],
            "aws_allow_http": "true",
        }
        frame = polars.scan_parquet(url, storage_options=options)
        total = frame.filter(polars.col("group") == 3).select(polars.col("value").sum()).collect().item()
    else:
        import pathlib

        import duckdb
        import duckdb_extension_httpfs

        scheme, host = job["endpoint"].split("://")
        db = duckdb.connect()
        # INSTALL would download the extension from a server of DuckDB.
        (httpfs,) = pathlib.Path(duckdb_extension_httpfs.__file__).parent.glob("extensions/*/httpfs.duckdb_extension")
        db.execute(f"LOAD '{httpfs}'")
        if "caFile" in job:
            db.execute(f"SET ca_cert_file = '{job['caFile']}'")
        db.execute(
            "CREATE SECRET (TYPE s3, KEY_ID ?, SECRET ?, ENDPOINT ?, REGION 'us-east-1', URL_STYLE 'path', USE_SSL ?)",
            [job["accessKeyId"], job["secretAccessKey"], host, scheme == "https"],
        )
        total = db.execute("SELECT sum(value) FROM read_parquet(?) WHERE \"group\" = 3", [url]).fetchone()[0]
    json.dump({"total": int(total)}, sys.stdout)


main()
