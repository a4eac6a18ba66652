import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** A system's credentials file, which Kafka's clients take as it is. */
final class Settings {
    private static final Pattern NAME = Pattern.compile("username=\"([^\"]+)\"");
    final Properties properties = new Properties();

    Settings(String file) throws IOException {
        try (Reader reader = Files.newBufferedReader(Path.of(file))) {
            properties.load(reader);
        }
    }

    /** The system that the file belongs to, as bmkg.inatews. */
    String system() {
        Matcher found = NAME.matcher(properties.getProperty("sasl.jaas.config"));
        if (!found.find()) {
            throw new IllegalArgumentException("the credentials file names no user");
        }
        return found.group(1);
    }

    Registry registry() throws IOException, GeneralSecurityException {
        String authority = properties.getProperty("ssl.truststore.location");
        HttpClient.Builder http = HttpClient.newBuilder();
        return new Registry(
                properties.getProperty("schema.registry.url"),
                (authority == null ? http : http.sslContext(trusting(Path.of(authority)))).build());
    }

    /** TLS with servers that the authorities in a PEM file vouch for. */
    private static SSLContext trusting(Path authority) throws IOException, GeneralSecurityException {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        try (InputStream pem = Files.newInputStream(authority)) {
            for (Certificate found : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
                trusted.setCertificateEntry("authority " + trusted.size(), found);
            }
        }
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        return context;
    }
}
