"""The WSGI entry point: `gunicorn wsgi:app`, `flask …`."""

from inventory import create_app

app = create_app()
