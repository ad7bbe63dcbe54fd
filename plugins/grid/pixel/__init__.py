"""Autoregressive models of images: PixelRNN, PixelCNN, their likelihoods and sampling."""

from structnet.plugins.grid.pixel import pixelcnn, pixelrnn  # noqa: F401
