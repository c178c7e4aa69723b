"""Login and encryption of the Kafka clients, out of the settings."""

import ssl

from connectors import errors
from streams.settings import Settings


def kafka_security(s: Settings) -> dict[str, str]:
    """The security settings of librdkafka. It always verifies the certificate and the host name of a broker.

    Raises Misconfigured when ordersync cannot use the file of the password or of the CA.
    """
    if s.kafka_security_protocol == "PLAINTEXT":
        return {}
    config: dict[str, str] = {"security.protocol": s.kafka_security_protocol}
    if s.kafka_security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": s.kafka_sasl_mechanism,
            "sasl.username": s.kafka_username,
            "sasl.password": s.password().get_secret_value(),
        }
    if s.kafka_security_protocol.endswith("SSL"):
        config |= {"enable.ssl.certificate.verification": "true", "ssl.endpoint.identification.algorithm": "https"}
        if s.kafka_ca_file is not None:
            kafka_tls(s)
            config["ssl.ca.location"] = str(s.kafka_ca_file)
    return config


def kafka_tls(s: Settings) -> ssl.SSLContext:
    """The TLS settings for Python: the CA that a setting names, or those of the system. Raises Misconfigured."""
    try:
        return ssl.create_default_context(cafile=s.kafka_ca_file)
    except OSError as error:  # ssl.SSLError, for a file without a certificate, is one too.
        raise errors.Misconfigured(
            f"kafka_ca_file {s.kafka_ca_file}: {error.strerror or error}. Name a PEM file with the CA"
        ) from None
