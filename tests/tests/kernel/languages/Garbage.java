import java.util.*;

/** Makes garbage in several threads, then says what is left. */
public class Garbage {
    static Map<Integer, byte[]> make(int seed) {
        Map<Integer, byte[]> kept = new HashMap<>();
        Random random = new Random(seed);
        for (int n = 0; n < 20_000; n++) {
            byte[] bytes = new byte[random.nextInt(20_000)];
            Arrays.fill(bytes, (byte) n);
            kept.put(n % 300, bytes);
        }
        return kept;
    }

    public static void main(String[] args) throws Exception {
        long[] sums = new long[4];
        Thread[] threads = new Thread[sums.length];
        for (int n = 0; n < threads.length; n++) {
            int me = n;
            threads[n] = new Thread(() -> { for (byte[] bytes : make(me).values()) sums[me] += bytes.length; });
            threads[n].start();
        }
        for (Thread thread : threads) thread.join();
        System.gc();
        System.out.println(Arrays.toString(sums));
        if (args.length > 0) Thread.sleep(100_000);
    }
}
