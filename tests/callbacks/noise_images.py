"""The sizes of the tiny data set of noise that these tests train on, and the settings of a model that is as small."""

SHAPE, CLASSES = (12, 12, 1), 3
# The arguments of a model without optional layers: what an eager step takes grows with the number of layers.
FEW_LAYERS = {"groups": 4, "attention_resolution": 0, "mapping_layers": 0, "generative_skips": False}
MODEL = {f"model__{name}": value for name, value in {"image_shape": SHAPE, **FEW_LAYERS}.items()}
EPOCHS, BATCH, TRAINING, TESTS = 2, 4, 8, 7
