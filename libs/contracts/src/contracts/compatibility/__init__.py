"""May this change be deployed? Models are compared with the schemas that are published."""
