// What Quartz itself says: for each question of cases.txt, and for expressions made at random from a
// fixed seed, the next fires or the refusal. run.sh repeats it.
//
// A line is: zone | instant to begin after | expression => fires, a refusal, or "hangs".

import java.io.*;
import java.nio.file.*;
import java.time.*;
import java.util.*;
import org.quartz.CronExpression;

public class Fires {
	static final int FIRES = 10;
	static final Instant END = Instant.parse("2100-01-01T00:00:00Z"); // Quartz stops a century from now

	public static void main(String[] args) throws Exception {
		for (String line : Files.readAllLines(Path.of(args[0]))) {
			if (line.isEmpty() || line.startsWith("#")) continue;
			String[] part = line.split(" \\| ", 3);
			ask(part[0], part[1], part[2]);
		}
		Random random = new Random(20260327);
		for (int i = 0; i < 300; i++) ask("UTC", "2026-02-27T22:10:30Z", expression(random, true));
		String[][] changes = {
			{"America/New_York", "2026-03-07T22:10:30Z"}, {"America/New_York", "2026-11-01T02:10:30Z"},
			{"Australia/Lord_Howe", "2026-10-03T10:10:30Z"}, {"Australia/Lord_Howe", "2026-04-04T10:10:30Z"},
			{"America/Sao_Paulo", "2018-11-03T22:10:30Z"}, {"America/Sao_Paulo", "2018-02-17T22:10:30Z"},
			{"Pacific/Apia", "2011-12-29T22:10:30Z"}, {"Africa/Casablanca", "2024-03-09T22:10:30Z"},
			{"Africa/Casablanca", "2024-04-13T22:10:30Z"}};
		for (int i = 0; i < 180; i++) {
			String[] change = changes[i % changes.length];
			ask(change[0], change[1], expression(random, i % 3 == 0));
		}
		System.out.flush();
		System.exit(0); // whatever hangs ends with it
	}

	@SuppressWarnings("removal")
	static void ask(String zone, String after, String expression) throws Exception {
		StringBuilder answer = new StringBuilder();
		Thread asking = new Thread(() -> answer(zone, after, expression, answer));
		asking.setDaemon(true);
		asking.start();
		asking.join(3000);
		if (asking.isAlive()) {
			asking.stop();
			asking.join();
			answer.setLength(0);
			answer.append(" hangs");
		}
		System.out.println(zone + " | " + after + " | " + expression + " =>" + answer);
	}

	static void answer(String zone, String after, String expression, StringBuilder out) {
		try {
			CronExpression cron = new CronExpression(expression);
			cron.setTimeZone(TimeZone.getTimeZone(zone));
			Date at = Date.from(Instant.parse(after));
			for (int i = 0; i < FIRES; i++) {
				at = cron.getNextValidTimeAfter(at);
				if (at == null || !at.toInstant().isBefore(END)) {
					out.append(" end");
					return;
				}
				out.append(' ').append(at.toInstant());
			}
		} catch (ThreadDeath e) {
			return;
		} catch (Exception e) {
			out.append(" refused");
		}
	}

	static String expression(Random r, boolean anyDay) {
		String month = "*", week = "?", months = "*";
		int n = 1 + r.nextInt(31), weekday = 1 + r.nextInt(7);
		switch (anyDay ? r.nextInt(10) : 9) {
		case 0: month = "L"; break;
		case 1: month = "L-" + r.nextInt(28); break;
		case 2: month = "LW"; break;
		case 3: month = "L-" + r.nextInt(27) + "W"; break;
		case 4: month = (1 + r.nextInt(28)) + "W"; break;
		case 5: month = "?"; week = weekday + "L"; break;
		case 6: month = "?"; week = weekday + "#" + (1 + r.nextInt(4)); break;
		case 7: month = "?"; week = field(r, 1, 7); break;
		case 8: month = field(r, 1, 31); break;
		}
		if (anyDay && r.nextInt(2) == 0) months = field(r, 1, 12);
		String second = r.nextInt(3) == 0 ? field(r, 0, 59) : "0";
		String year = r.nextInt(6) == 0 ? " " + (2026 + r.nextInt(3)) + "-" + (2029 + r.nextInt(9)) : "";
		return second + " " + field(r, 0, 59) + " " + (r.nextInt(3) == 0 ? r.nextInt(4) + "" : field(r, 0, 23))
			+ " " + month + " " + months + " " + week + year;
	}

	static String field(Random r, int low, int high) {
		StringBuilder out = new StringBuilder();
		for (int i = r.nextInt(4) == 0 ? 2 : 1; i > 0; i--) {
			int a = low + r.nextInt(high - low + 1), b = low + r.nextInt(high - low + 1), step = 1 + r.nextInt(Math.min(high, 9));
			switch (r.nextInt(6)) {
			case 0: out.append("*"); break;
			case 1: out.append("*/" + step); break;
			case 2: out.append(a + "/" + step); break;
			case 3: out.append(a + "-" + b); break;
			case 4: out.append(a + "-" + b + "/" + step); break;
			default: out.append(a);
			}
			if (i > 1) out.append(",");
		}
		return out.toString();
	}
}
