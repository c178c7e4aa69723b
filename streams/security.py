"""The login to Kafka and TLS, out of the settings: for librdkafka and for Python's own TLS."""

import ssl

from connectors import errors
from streams import settings


def security(s: settings.Settings) -> dict[str, str]:
    """librdkafka's security settings, out of ours. A broker's certificate is always verified, its host name too.

    Raises Misconfigured when the file of the password or of the CA cannot be used.
    """
    if s.kafka_security_protocol == "PLAINTEXT":
        return {}
    found: dict[str, str] = {"security.protocol": s.kafka_security_protocol}
    if s.kafka_security_protocol.startswith("SASL"):
        found |= {
            "sasl.mechanism": s.kafka_sasl_mechanism,
            "sasl.username": s.kafka_username,
            "sasl.password": s.password().get_secret_value(),
        }
    if s.kafka_security_protocol.endswith("SSL"):
        found |= {"enable.ssl.certificate.verification": "true", "ssl.endpoint.identification.algorithm": "https"}
        if s.kafka_ca_file is not None:
            tls(s)
            found["ssl.ca.location"] = str(s.kafka_ca_file)
    return found


def tls(s: settings.Settings) -> ssl.SSLContext:
    """The same for Python's own TLS: the CA that a setting names, or the system's. Raises Misconfigured."""
    try:
        return ssl.create_default_context(cafile=s.kafka_ca_file)
    except OSError as error:  # A file that holds no certificate is one too (ssl.SSLError).
        raise errors.Misconfigured(
            f"kafka_ca_file {s.kafka_ca_file}: {error.strerror or error}. Name a PEM file that holds the CA"
        ) from None
