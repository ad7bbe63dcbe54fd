"""How splits are called, in the names of files and folders and in columns of tables."""

# In small letters -> the split.
SPLIT_NAMES = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
