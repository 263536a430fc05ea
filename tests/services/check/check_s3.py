"""S3: objects put only where nothing is; a multipart upload is not seen before it is complete."""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from common import ROWS, run, same, wrong

BUCKET = "tests"


def connect(address, secret="secretkey123"):
    settings = Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10, s3={"addressing_style": "path"})
    return boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="akey", aws_secret_access_key=secret,
        config=settings,
    )


def refused(status, call, **arguments):
    """The call must be refused with that status."""
    try:
        call(**arguments)
    except ClientError as error:
        same(error.response["ResponseMetadata"]["HTTPStatusCode"], status)
        return
    wrong(f"not refused: {arguments}")


def write(address, folder):
    server = connect(address)
    for number, word in ROWS[1:]:
        put = {"Bucket": BUCKET, "Key": f"checked/{number}", "Body": word.encode(), "IfNoneMatch": "*"}
        server.put_object(**put)
        refused(412, server.put_object, **put)
    number, word = ROWS[0]
    place = {"Bucket": BUCKET, "Key": f"checked/{number}"}
    upload = place | {"UploadId": server.create_multipart_upload(**place)["UploadId"]}
    part = server.upload_part(**upload, PartNumber=1, Body=word.encode())
    refused(404, server.get_object, **place)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    server.complete_multipart_upload(**upload, MultipartUpload=parts, IfNoneMatch="*")


def read(address, folder):
    server = connect(address)
    keys = [entry["Key"] for entry in server.list_objects_v2(Bucket=BUCKET, Prefix="checked/")["Contents"]]
    words = [server.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode() for key in keys]
    same([(int(key.split("/")[1]), word) for key, word in zip(keys, words)])
    refused(403, connect(address, secret="other").list_objects_v2, Bucket=BUCKET)


run(write, read)
