"""A user's own trees and graphs: files and objects, read as records of nodes and edges."""

# First, as its readers are used here and one of its tasks is made of what is here.
import structnet.plugins.tree  # noqa: F401
