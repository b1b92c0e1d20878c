"""What every service of Cardshop shares, and nothing else.

The message contract, settings, TLS, logging, external programs, the clients of the scheduler and of the
warehouse, the image format, the Celery runtime of the workers, and the local stack that starts them all.
Services import from here; nothing here imports a service.
"""
