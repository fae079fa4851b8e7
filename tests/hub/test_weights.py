"""Weights files that are damaged, of another network, or made to harm."""

import h5py
import keras
import numpy as np
import pytest

from keras_mlp3d.hub import check_weights_file, file_sha256, save_weights


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(4, name="hidden")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2, name="outputs")(hidden), name="small")


@pytest.fixture
def path(model, tmp_path):
    """The model's weights, saved; a test then changes the file."""
    path = tmp_path / "model.weights.h5"
    save_weights(model, path)
    return path


def assert_refused(model, path, message, sha256=None, error=ValueError):
    before = [np.array(value) for value in model.get_weights()]
    with pytest.raises(error, match=message) as caught:
        check_weights_file(path, sha256).load(model)
    assert str(path) in str(caught.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def replace(path, make):
    """Replaces the kernel of the first layer by what `make(group, name)` puts there."""
    with h5py.File(path, "r+") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        make(group, "0")


def test_good_weights_with_the_right_sum(model, path):
    wanted = [np.array(value) for value in model.get_weights()]
    model.set_weights([value + 1 for value in wanted])
    file = check_weights_file(path, file_sha256(path))
    assert file.parameter_count == model.count_params()
    file.load(model)
    for old, new in zip(wanted, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_absent_file(model, tmp_path):
    assert_refused(model, tmp_path / "no.weights.h5", "does not exist", error=FileNotFoundError)


def test_wrong_sum(model, path):
    assert_refused(model, path, f"SHA-256 is not the one in .* {'0' * 64}", "0" * 64)


@pytest.mark.parametrize("fraction", [0, 0.1, 0.5, 0.95])
def test_truncated(model, path, fraction):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(fraction * len(whole))])
    assert_refused(model, path, "is damaged or no HDF5 file")


def test_another_kind_of_file(model, path):
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
    assert_refused(model, path, "is damaged or no HDF5 file")


def test_weights_of_another_network(model, path):
    inputs = keras.Input((3,))
    other = keras.Model(inputs, keras.layers.Dense(5, name="hidden")(inputs))
    save_weights(other, path)
    assert_refused(model, path, r"are not of this network \(small\)")


def test_empty_file_of_the_right_kind(model, path):
    with h5py.File(path, "w"):
        pass
    assert_refused(model, path, r"are not of this network \(small\)")


def test_links_out_of_the_file(model, path, tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["numbers"] = np.zeros((3, 4), "float32")
    outside = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/numbers")
    replace(path, lambda group, name: group.__setitem__(name, outside))
    assert_refused(model, path, "is a link to another place")


def test_links_inside_the_file(model, path):
    replace(path, lambda group, name: group.__setitem__(name, h5py.SoftLink("/layers")))
    assert_refused(model, path, "is a link to another place")


def test_external_storage(model, path, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(48))
    replace(
        path,
        lambda group, name: group.create_dataset(
            name, (3, 4), "float32", external=[(str(secret), 0, 48)]
        ),
    )
    assert_refused(model, path, "keeps its data in another file")


def test_virtual_storage(model, path, tmp_path):
    layout = h5py.VirtualLayout((3, 4), "float32")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "numbers", (3, 4))
    replace(path, lambda group, name: group.create_virtual_dataset(name, layout))
    assert_refused(model, path, "keeps its data in another file")


def test_a_few_bytes_that_declare_a_terabyte(model, path):
    replace(
        path,
        lambda group, name: group.create_dataset(name, (2**38,), "float32"),
    )
    assert path.stat().st_size < 100_000
    assert_refused(model, path, r"it declares 1,099,511,627,\d+ bytes of weights and has \d")


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}, {"shuffle": True}])
def test_a_few_bytes_in_a_large_chunk(model, path, options):
    """A chunk is allocated whole when one of its values is read."""
    replace(
        path,
        lambda group, name: group.create_dataset(
            name, (3,), "float32", chunks=(2**28,), maxshape=(None,), **options
        ),
    )
    assert_refused(model, path, "is compressed or in chunks, which are not read")


@pytest.mark.parametrize("dtype", [h5py.string_dtype(), h5py.vlen_dtype("int32"), h5py.ref_dtype])
def test_objects_instead_of_numbers(model, path, dtype):
    replace(path, lambda group, name: group.create_dataset(name, (3,), dtype))
    assert_refused(model, path, "holds object values, not numbers")


def test_structures_instead_of_numbers(model, path):
    fields = np.dtype([("a", "f4"), ("b", "i4")])
    replace(path, lambda group, name: group.create_dataset(name, (3,), fields))
    assert_refused(model, path, "not numbers")


def test_a_dataset_of_nothing(model, path):
    replace(path, lambda group, name: group.create_dataset(name, data=h5py.Empty("float32")))
    assert_refused(model, path, r"are not of this network \(small\)")


def test_groups_that_contain_each_other(model, path):
    replace(path, lambda group, name: group.__setitem__("again", group.parent))
    assert_refused(model, path, "is a second name of another part")


def test_a_few_bytes_with_endless_names(model, path):
    """Thirty groups, each with two names for the next one, have a billion paths."""

    def chain(group, name):
        for _ in range(30):
            inner = group.create_group("a")
            group["b"] = inner
            group = inner

    replace(path, chain)
    assert_refused(model, path, "is a second name of another part")


def test_arrays_that_share_their_bytes(model, path):
    replace(path, lambda group, name: group.__setitem__(name, group.file["layers/dense/vars/1"]))
    assert_refused(model, path, "is a second name of another part")


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**62, 4), (2**32, 2**32)])
def test_sizes_beyond_64_bits(model, path, shape):
    replace(
        path,
        lambda group, name: group.create_dataset(
            name, shape, "float32", chunks=(2**10, 1), fillvalue=0
        ),
    )
    assert_refused(model, path, "is compressed or in chunks")


def test_bfloat16(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(4, dtype="bfloat16")(inputs))
    wanted = [np.array(keras.ops.convert_to_numpy(v), "float32") for v in model.weights]
    save_weights(model, tmp_path / "model.weights.h5")
    model.set_weights([np.zeros(v.shape) for v in model.weights])
    file = check_weights_file(tmp_path / "model.weights.h5")
    assert file.parameter_count == 16
    file.load(model)
    for old, new in zip(wanted, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(keras.ops.convert_to_numpy(new), "float32"))


def test_layers_that_load_in_another_way(model, path):
    wanted = [np.array(value) for value in model.get_weights()]
    model.set_weights([value + 1 for value in wanted])
    layer, found = model.get_layer("hidden"), {}
    check_weights_file(path).load(model, {layer: lambda arrays: found.update(arrays)})
    for key, value in zip("01", wanted[:2], strict=True):
        np.testing.assert_array_equal(found[key], value)
    for offset, old, new in zip((1, 1, 0, 0), wanted, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old + offset, new)
    check_weights_file(path).load(model)
    np.testing.assert_array_equal(model.get_weights()[0], wanted[0])
