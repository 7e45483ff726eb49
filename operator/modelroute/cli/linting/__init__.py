"""What `modelroute lint` checks, without a cluster: the CRD's schema and rules, and what only the design knows."""
