"""What every process needs: settings, logs, its database, migrations."""
