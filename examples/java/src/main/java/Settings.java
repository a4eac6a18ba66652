import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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

    Registry registry() {
        return new Registry(properties.getProperty("schema.registry.url"));
    }
}
