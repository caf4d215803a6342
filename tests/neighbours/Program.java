import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.Deflater;

/** A program of the Java machine (neighbours.py): compiled code, threads, memory outside its heap, a stack overflow. */
public class Program {
    static int depth(int n) { return n == 0 ? 0 : 1 + depth(n - 1); }

    static long work(int number) {
        Map<String, List<byte[]>> map = new HashMap<>();
        CRC32 sum = new CRC32();
        for (int i = 0; i < 3000; i++) {
            map.computeIfAbsent("key" + i % 97, key -> new ArrayList<>()).add(new byte[i % 500 + number]);
            java.nio.ByteBuffer.allocateDirect(64).putInt(i);
        }
        Deflater deflater = new Deflater();
        byte[] packed = new byte[100];
        for (List<byte[]> rows : map.values()) sum.update(rows.get(0));
        deflater.setInput(new byte[10000]);
        deflater.finish();
        sum.update(packed, 0, deflater.deflate(packed));
        deflater.end();
        return sum.getValue();
    }

    public static void main(String[] arguments) throws Exception {
        long[] sums = new long[6];
        Thread[] threads = new Thread[sums.length];
        for (int i = 0; i < sums.length; i++) {
            int number = i;
            threads[i] = new Thread(() -> sums[number] = work(number));
            threads[i].start();
        }
        for (Thread thread : threads) thread.join();
        boolean overflown = false;
        try {
            depth(100000000);
        } catch (StackOverflowError error) {
            overflown = true;
        }
        String missing = null;
        try {
            missing.length(); // a SIGSEGV of its own
        } catch (NullPointerException error) {
            missing = "null";
        }
        System.gc();
        System.out.println(java.util.Arrays.toString(sums) + overflown + missing);
        System.exit(3);
    }
}
