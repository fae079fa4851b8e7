import pytest
from models import tiny


@pytest.fixture(scope="module")
def model():
    """The tiny `MLP3D`, one for each file of tests; not to be changed."""
    return tiny.tiny_model()


@pytest.fixture(scope="module")
def backbone(model):
    """Its backbone."""
    return model.backbone
