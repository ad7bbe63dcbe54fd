"""ListOps: expressions in brackets, their trees and their values."""
