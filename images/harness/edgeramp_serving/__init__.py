"""Our model servers: kserve's V2 server, one model, one middleware that counts what the operator looks at."""
