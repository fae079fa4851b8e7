"""Trains a step from `s3://` paths, served on loopback by moto: videos, a CSV and shards.

Not part of the suite: `make test-s3` makes the environment, TensorFlow 2.17 with tensorflow-io,
and runs this.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

BUCKET = "clips"


@contextlib.contextmanager
def s3_server():
    """Serves S3 on loopback, and tells boto3 and tensorflow-io of it by the environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "us-east-1",
        # With its scheme: tensorflow-io 0.37 takes no note of S3_USE_HTTPS.
        "S3_ENDPOINT": f"http://127.0.0.1:{port}",
        "KERAS_BACKEND": "tensorflow",
    }
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def write_data(folder):
    """Writes videos in class folders, a CSV of them and shards."""
    from keras_mlp3d.data import motion_shapes, read_folder, write_shards

    motion_shapes.write_motion_shapes(folder / "shapes", num_clips=40)
    videos = sorted((folder / "shapes").rglob("*.mp4"))[:8]
    for number, path in enumerate(videos):
        place = folder / "s3" / "videos" / f"class{number % 2}" / f"{number}.mp4"
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)
    manifest = read_folder(folder / "s3" / "videos")
    manifest.write_csv(folder / "s3" / "train.csv")
    write_shards(manifest, folder / "s3" / "shards", num_shards=2)
    return manifest


def upload(folder, endpoint):
    """Uploads a folder; returns how many files."""
    import boto3

    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        client.upload_file(str(path), BUCKET, path.relative_to(folder).as_posix())
    return len(files)


def trainer():
    """A function that trains one network anew, from the same weights, and prints its loss."""
    import keras

    from keras_mlp3d.models import MLP3D, MLP3DBackbone

    keras.utils.set_random_seed(0)
    backbone = MLP3DBackbone((8, 8, 16, 16), (1, 1, 1, 1), (2, 2, 2, 2), "short_range:2")
    model = MLP3D(backbone, num_classes=2, dropout=0.0)
    # Plain gradient descent has no state that the next training could find.
    model.compile(keras.optimizers.SGD(1e-4), keras.losses.SparseCategoricalCrossentropy())
    model.build((None, 8, 32, 32, 3))
    weights = model.get_weights()

    def train(name, data):
        model.set_weights(weights)
        loss = model.fit(data, epochs=1, shuffle=False, verbose=0).history["loss"][0]
        print(f"{name}: {len(data)} steps, loss {loss:.6f}", flush=True)
        return loss

    return train


def compare(local, endpoint):
    """Reads everything back from S3, compares it with the files, and trains on it."""
    import numpy as np

    from keras_mlp3d import data

    converter = data.VideoConverter(num_frames=8, image_size=(32, 32))
    options = {"batch_size": 2, "training": True}
    manifests = {
        "class folders": data.read_manifest(f"s3://{BUCKET}/videos"),
        "CSV": data.read_manifest(f"s3://{BUCKET}/train.csv"),
        "shards": data.read_manifest(f"s3://{BUCKET}/shards"),
    }
    train = trainer()
    losses = {"files here": train("files here", data.make_dataset(local, converter, **options))}
    for name, manifest in manifests.items():
        print(f"{name}: {len(manifest)} rows, {manifest.rows[0].path}", flush=True)
        losses[name] = train(name, data.make_dataset(manifest, converter, **options))
    loader = data.VideoLoader(manifests["CSV"], converter, **options)
    losses["CSV, VideoLoader"] = train("CSV, VideoLoader", loader)
    for name in ("class folders", "CSV"):
        for row, remote in zip(local.rows, manifests[name].rows, strict=True):
            np.testing.assert_array_equal(converter(row.path), converter(remote.path))
    exact = [losses[name] for name in ("class folders", "CSV", "CSV, VideoLoader")]
    np.testing.assert_allclose(exact, losses["files here"], rtol=1e-5)
    np.testing.assert_allclose(losses["shards"], losses["files here"], rtol=0.05)
    try:
        converter(f"s3://{BUCKET}/videos/gone.mp4")
    except data.VideoError as error:
        print(f"a missing video: {error}")
    else:
        raise AssertionError("a missing video was read")


def main():
    """Serves, uploads, reads, trains."""
    with s3_server() as endpoint, tempfile.TemporaryDirectory() as folder:
        local = write_data(pathlib.Path(folder))
        count = upload(pathlib.Path(folder, "s3"), endpoint)
        print(f"{count} files on {endpoint}", flush=True)
        compare(local, endpoint)
    print("passed", flush=True)
    os._exit(0)  # tensorflow-io 0.37 aborts when the process ends


if __name__ == "__main__":
    main()
