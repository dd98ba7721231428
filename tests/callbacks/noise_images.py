"""The sizes of the tiny data set of noise that these tests train on."""

SHAPE, CLASSES = (12, 12, 1), 3
EPOCHS, BATCH, TRAINING, TESTS = 2, 4, 8, 7
