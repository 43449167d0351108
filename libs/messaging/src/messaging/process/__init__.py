"""What any process needs: settings, logs, its database, migrations, health."""
