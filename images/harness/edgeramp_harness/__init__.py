"""What runs inside a Job: one module per verb, small shared modules, no Kubernetes client and no token."""
