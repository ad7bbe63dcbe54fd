"""A user's own trees and graphs: files and objects, read as records of nodes and edges."""
