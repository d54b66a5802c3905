import com.sun.net.httpserver.HttpServer;
import java.io.*;
import java.lang.management.ManagementFactory;
import java.net.*;
import java.net.http.*;
import java.nio.ByteBuffer;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.*;
import java.util.stream.*;
import java.util.zip.*;

/** Java's threads, memory, files, network and processes over the system. */
public class Everything {
    interface Part { void run() throws Exception; }

    static void section(String name, Part part) throws Exception {
        System.out.println("== " + name);
        part.run();
    }

    static void say(Object... what) {
        System.out.println(Arrays.stream(what).map(String::valueOf).collect(Collectors.joining(" ")));
    }

    static void threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(8);
        List<Future<Integer>> futures = new ArrayList<>();
        for (int n = 0; n < 200; n++) { int m = n; futures.add(pool.submit(() -> { Thread.sleep(m % 5); return m * m; })); }
        int sum = 0;
        for (Future<Integer> future : futures) sum += future.get();
        pool.shutdown();
        say(sum, pool.awaitTermination(10, TimeUnit.SECONDS));
        say(IntStream.range(0, 1_000_000).parallel().mapToLong(n -> n % 7).sum());
        AtomicInteger turn = new AtomicInteger();
        Object lock = new Object();
        StringBuffer order = new StringBuffer();
        Thread[] turns = new Thread[3];
        for (int me = 0; me < 3; me++) { int m = me; (turns[me] = new Thread(() -> takeTurns(m, turn, lock, order))).start(); }
        for (Thread thread : turns) thread.join();
        say(order);
        Thread sleeper = new Thread(() -> { try { Thread.sleep(100_000); } catch (InterruptedException e) { say("interrupted"); } });
        sleeper.start();
        sleeper.interrupt();
        sleeper.join();
        ReentrantLock fair = new ReentrantLock(true);
        long[] count = { 0 };
        Thread[] many = new Thread[50];
        for (int n = 0; n < 50; n++) (many[n] = new Thread(() -> { for (int k = 0; k < 100; k++) { fair.lock(); count[0]++; fair.unlock(); } })).start();
        for (Thread thread : many) thread.join();
        say(count[0]);
        ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
        CountDownLatch ticks = new CountDownLatch(5);
        timer.scheduleAtFixedRate(ticks::countDown, 10, 10, TimeUnit.MILLISECONDS);
        say(ticks.await(10, TimeUnit.SECONDS));
        timer.shutdownNow();
        say(CompletableFuture.supplyAsync(() -> 20).thenCombine(CompletableFuture.supplyAsync(() -> 22), Integer::sum).get());
    }

    static void takeTurns(int me, AtomicInteger turn, Object lock, StringBuffer order) {
        for (int n = 0; n < 20; n++) {
            synchronized (lock) {
                try { while (turn.get() % 3 != me) lock.wait(); } catch (InterruptedException e) { return; }
                order.append(me);
                turn.incrementAndGet();
                lock.notifyAll();
            }
        }
    }

    static void faults() {
        String nothing = args().length > 1000 ? "" : null;
        int caught = 0;
        for (int n = 0; n < 100_000; n++) { try { if (nothing.length() >= 0) caught--; } catch (NullPointerException e) { caught++; } }
        say(caught);
        try { say(deep(0)); } catch (StackOverflowError e) { say("stack overflow"); }
        try { say(1 / args().length); } catch (ArithmeticException e) { say(e.getMessage()); }
        try { long[][] all = new long[100_000][]; for (int n = 0; n < all.length; n++) all[n] = new long[1 << 24]; } catch (OutOfMemoryError e) { say("out of memory"); }
    }

    static String[] args() { return new String[0]; }

    static int deep(int depth) { return depth + deep(depth + 1); }

    static void garbage() {
        List<byte[]> kept = new ArrayList<>();
        long total = 0;
        for (int n = 0; n < 3000; n++) {
            byte[] bytes = new byte[100_000];
            Arrays.fill(bytes, (byte) n);
            total += bytes[n];
            kept.add(bytes);
            if (kept.size() > 200) kept.remove(0);
        }
        System.gc();
        long collections = ManagementFactory.getGarbageCollectorMXBeans().stream().mapToLong(gc -> gc.getCollectionCount()).sum();
        Map<String, Integer> words = new HashMap<>();
        for (int n = 0; n < 300_000; n++) words.merge("word " + n % 1000, 1, Integer::sum);
        ByteBuffer direct = ByteBuffer.allocateDirect(16 << 20);
        for (int n = 0; n < direct.capacity(); n += 4096) direct.put(n, (byte) 1);
        say(total, collections > 0, words.size(), words.get("word 7"));
    }

    static void files() throws Exception {
        Path dir = Files.createTempDirectory("java");
        for (int n = 0; n < 50; n++) Files.writeString(dir.resolve("f" + n), "z".repeat(n));
        try (Stream<Path> all = Files.list(dir)) { say(all.mapToLong(file -> file.toFile().length()).sum()); }
        Path moved = Files.move(dir.resolve("f9"), dir.resolve("moved"), StandardCopyOption.ATOMIC_MOVE);
        Files.createSymbolicLink(dir.resolve("soft"), moved);
        Files.setPosixFilePermissions(moved, PosixFilePermissions.fromString("rw-r-----"));
        say(Files.readSymbolicLink(dir.resolve("soft")).getFileName(), Files.size(moved), PosixFilePermissions.toString(Files.getPosixFilePermissions(moved)));
        try (FileChannel channel = FileChannel.open(dir.resolve("mapped"), StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            var map = channel.map(FileChannel.MapMode.READ_WRITE, 0, 1 << 20);
            for (int n = 0; n < map.capacity(); n += 4) map.putInt(n, n);
            map.force();
            ByteBuffer four = ByteBuffer.allocate(4);
            channel.read(four, 400_000);
            try (FileLock lock = channel.tryLock()) { say(four.getInt(0), lock.isValid(), channel.size()); }
            FileChannel copy = FileChannel.open(dir.resolve("copy"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
            say(channel.transferTo(0, channel.size(), copy));
            copy.close();
        }
        try (var watch = dir.getFileSystem().newWatchService()) {
            dir.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
            Files.createFile(dir.resolve("new"));
            say(watch.poll(20, TimeUnit.SECONDS).pollEvents().get(0).context());
        }
        try (var zip = new ZipOutputStream(Files.newOutputStream(dir.resolve("z.zip")))) { zip.putNextEntry(new ZipEntry("entry")); zip.write(new byte[100_000]); }
        try (var zip = new ZipFile(dir.resolve("z.zip").toFile())) { say(zip.getInputStream(zip.getEntry("entry")).readAllBytes().length); }
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(dir.resolve("mapped")));
        say(HexFormat.of().formatHex(digest));
        try { Files.delete(dir); } catch (DirectoryNotEmptyException e) { say("not empty"); }
        try (Stream<Path> all = Files.walk(dir)) { all.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete()); }
        say(Files.exists(dir));
        AsynchronousFileChannel async = AsynchronousFileChannel.open(Files.createTempFile("a", "b"), StandardOpenOption.WRITE);
        say(async.write(ByteBuffer.wrap(new byte[1000]), 50).get());
        async.close();
    }

    static void network() throws Exception {
        ServerSocketChannel server = ServerSocketChannel.open().bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
        SocketAddress address = server.getLocalAddress();
        Thread serving = new Thread(() -> { try { echo(server, 10); } catch (IOException e) { say(e); } });
        serving.start();
        ExecutorService clients = Executors.newCachedThreadPool();
        List<Future<Integer>> sizes = new ArrayList<>();
        for (int n = 0; n < 10; n++) sizes.add(clients.submit(() -> exchange(address)));
        for (Future<Integer> size : sizes) if (size.get() != 300_000) say("short", size.get());
        clients.shutdown();
        serving.join();
        server.close();
        try { new Socket().connect(address); say("connected"); } catch (ConnectException e) { say(e.getMessage()); }
        try (DatagramSocket one = new DatagramSocket(0, InetAddress.getLoopbackAddress()); DatagramSocket two = new DatagramSocket()) {
            two.send(new DatagramPacket("datagram".getBytes(), 8, one.getLocalSocketAddress()));
            DatagramPacket got = new DatagramPacket(new byte[100], 100);
            one.receive(got);
            say(new String(got.getData(), 0, got.getLength()));
            one.setSoTimeout(50);
            try { one.receive(got); } catch (SocketTimeoutException e) { say("timeout"); }
        }
        Path path = Files.createTempDirectory("unix").resolve("socket");
        try (var unix = ServerSocketChannel.open(StandardProtocolFamily.UNIX).bind(UnixDomainSocketAddress.of(path)); var to = SocketChannel.open(UnixDomainSocketAddress.of(path)); var from = unix.accept()) {
            to.write(ByteBuffer.wrap("over unix".getBytes()));
            ByteBuffer bytes = ByteBuffer.allocate(100);
            from.read(bytes);
            say(new String(bytes.array(), 0, bytes.position()));
        }
        try (var async = AsynchronousServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0)); var to = AsynchronousSocketChannel.open()) {
            var accepted = async.accept();
            to.connect(async.getLocalAddress()).get();
            to.write(ByteBuffer.wrap(new byte[77])).get();
            ByteBuffer bytes = ByteBuffer.allocate(100);
            say(accepted.get().read(bytes).get());
        }
        say(NetworkInterface.getByName("lo").isLoopback(), InetAddress.getByName("localhost").isLoopbackAddress());
    }

    static void echo(ServerSocketChannel server, int left) throws IOException {
        Selector selector = Selector.open();
        server.configureBlocking(false);
        server.register(selector, SelectionKey.OP_ACCEPT);
        while (left > 0) {
            selector.select();
            for (var keys = selector.selectedKeys().iterator(); keys.hasNext();) {
                SelectionKey key = keys.next();
                keys.remove();
                if (key.isAcceptable()) { SocketChannel c = server.accept(); c.configureBlocking(false); c.register(selector, SelectionKey.OP_READ); continue; }
                SocketChannel c = (SocketChannel) key.channel();
                ByteBuffer bytes = ByteBuffer.allocate(32768);
                int count = c.read(bytes);
                if (count < 0) { c.close(); left--; continue; }
                bytes.flip();
                while (bytes.hasRemaining()) if (c.write(bytes) == 0) Thread.yield();
            }
        }
        selector.close();
    }

    static int exchange(SocketAddress address) throws Exception {
        try (SocketChannel channel = SocketChannel.open(address)) {
            Thread writer = new Thread(() -> {
                try { ByteBuffer bytes = ByteBuffer.wrap(new byte[300_000]); while (bytes.hasRemaining()) channel.write(bytes); channel.shutdownOutput(); } catch (IOException e) { say(e); }
            });
            writer.start();
            ByteBuffer bytes = ByteBuffer.allocate(65536);
            int total = 0;
            for (int count; (count = channel.read(bytes)) >= 0; bytes.clear()) total += count;
            writer.join();
            return total;
        }
    }

    static void web() throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", exchange -> {
            byte[] body = exchange.getRequestBody().readAllBytes();
            exchange.sendResponseHeaders(exchange.getRequestURI().getPath().equals("/7") ? 404 : 200, body.length == 0 ? -1 : body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        String base = "http://127.0.0.1:" + server.getAddress().getPort() + "/";
        List<CompletableFuture<HttpResponse<String>>> answers = new ArrayList<>();
        for (int n = 0; n < 30; n++) {
            var request = HttpRequest.newBuilder(URI.create(base + n)).POST(HttpRequest.BodyPublishers.ofString("q".repeat(n * 1000))).build();
            answers.add(client.sendAsync(request, HttpResponse.BodyHandlers.ofString()));
        }
        int codes = 0, size = 0;
        for (var answer : answers) { codes += answer.get().statusCode(); size += answer.get().body().length(); }
        say(codes, size);
        server.stop(0);
    }

    static void processes() throws Exception {
        Process process = new ProcessBuilder("sh", "-c", "cat; echo problem >&2; exit 6").redirectErrorStream(true).start();
        process.getOutputStream().write("through\n".getBytes());
        process.getOutputStream().close();
        System.out.print(new String(process.getInputStream().readAllBytes()));
        say(process.waitFor(), process.pid() > 0, process.toHandle().isAlive());
        Process sleeper = new ProcessBuilder("sleep", "100").start();
        say(sleeper.waitFor(20, TimeUnit.MILLISECONDS));
        sleeper.destroy();
        say(sleeper.waitFor());
        List<Process> many = new ArrayList<>();
        for (int n = 0; n < 10; n++) many.add(new ProcessBuilder("sh", "-c", "exit " + n).start());
        int sum = 0;
        for (Process each : many) sum += each.waitFor();
        say(sum);
        try { new ProcessBuilder("/nowhere").start(); } catch (IOException e) { say(e.getCause().getMessage()); }
        String code = new String(new ProcessBuilder("java", "-Xshare:auto", "-version").redirectErrorStream(true).start().getInputStream().readAllBytes());
        say(code.contains("OpenJDK"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> say("shutting down")));
    }

    public static void main(String[] args) throws Exception {
        section("threads", Everything::threads);
        section("faults", Everything::faults);
        section("garbage", Everything::garbage);
        section("files", Everything::files);
        section("network", Everything::network);
        section("http", Everything::web);
        section("processes", Everything::processes);
        System.exit(3);
    }
}
