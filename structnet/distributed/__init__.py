"""Training by several processes: who they are, what each computes, and how it becomes one step."""
