"""CloudFormation with ChangeSets, staged statuses and rollbacks, over moto's resources."""
