"""Image generation, classification and segmentation."""

from structnet.plugins.grid.tasks import (  # noqa: F401
    cifar10,
    digits,
    folder,
    mnist,
    segmentation,
)
