"""What `import somray` offers: teacher, student, runs and an estimator, thin over kernels and storage."""
