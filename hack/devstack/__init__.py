"""The local stack: a real control plane, gateway and Prometheus on loopback, with model servers and load."""
