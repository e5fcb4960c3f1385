"""The operator at rest: memory, API requests, start-up, reconcile lag with a thousand Rollouts on a real API server."""
