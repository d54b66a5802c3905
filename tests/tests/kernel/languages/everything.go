// Go's goroutines, timers, signals, network and processes over the system.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func goroutines() {
	var wait sync.WaitGroup
	var sum int64
	for n := 0; n < 10000; n++ {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			runtime.Gosched()
			atomic.AddInt64(&sum, int64(n))
		}(n)
	}
	wait.Wait()
	fmt.Println(sum)
	in, out := make(chan int), make(chan int)
	for n := 0; n < 8; n++ {
		go func() {
			for value := range in {
				out <- value * value
			}
		}()
	}
	go func() {
		for n := 0; n < 1000; n++ {
			in <- n
		}
		close(in)
	}()
	total := 0
	for n := 0; n < 1000; n++ {
		total += <-out
	}
	fmt.Println(total)
	// A loop without calls is preempted by a signal.
	var stop int32
	done := make(chan bool)
	runtime.GOMAXPROCS(1)
	go func() {
		for n := 0; atomic.LoadInt32(&stop) == 0; n++ {
		}
		done <- true
	}()
	time.Sleep(20 * time.Millisecond)
	atomic.StoreInt32(&stop, 1)
	<-done
	runtime.GOMAXPROCS(4)
	fmt.Println("preempted")
	var locked sync.WaitGroup
	for n := 0; n < 30; n++ {
		locked.Add(1)
		go func() {
			defer locked.Done()
			runtime.LockOSThread()
			time.Sleep(20 * time.Millisecond)
		}()
	}
	locked.Wait()
	fmt.Println("threads")
}

func timers() {
	start := time.Now()
	ticker := time.NewTicker(5 * time.Millisecond)
	for n := 0; n < 10; n++ {
		<-ticker.C
	}
	ticker.Stop()
	fmt.Println(time.Since(start) >= 45*time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	<-ctx.Done()
	fmt.Println(ctx.Err())
	var fired int32
	var wait sync.WaitGroup
	for n := 0; n < 100; n++ {
		wait.Add(1)
		time.AfterFunc(time.Duration(n%20)*time.Millisecond, func() { atomic.AddInt32(&fired, 1); wait.Done() })
	}
	wait.Wait()
	fmt.Println(fired)
}

func signals() {
	arrived := make(chan os.Signal, 10)
	signal.Notify(arrived, syscall.SIGUSR1, syscall.SIGHUP, syscall.SIGCHLD)
	for _, each := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGHUP} {
		check(syscall.Kill(os.Getpid(), each))
		fmt.Println(<-arrived)
	}
	check(exec.Command("true").Run())
	fmt.Println(<-arrived)
	signal.Reset()
	var nothing *int
	func() {
		defer func() { fmt.Println(recover()) }()
		fmt.Println(*nothing)
	}()
	func() {
		debug.SetPanicOnFault(true)
		defer func() { fmt.Println(recover() != nil) }()
		page := must(syscall.Mmap(-1, 0, 4096, syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE))
		page[0] = 1
	}()
	zero := 0
	func() {
		defer func() { fmt.Println(recover()) }()
		fmt.Println(1 / zero)
	}()
}

func memory() {
	var kept [][]byte
	for n := 0; n < 2000; n++ {
		kept = append(kept, bytes.Repeat([]byte{byte(n)}, 100000))
		if len(kept) > 100 {
			kept = kept[1:]
		}
	}
	runtime.GC()
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println(len(kept), stats.NumGC > 5)
	words := map[string]int{}
	for n := 0; n < 300000; n++ {
		words[fmt.Sprint("word ", n%1000)]++
	}
	fmt.Println(len(words), deep(1000000))
}

func deep(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + deep(n-1)
}

func network() {
	listener := must(net.Listen("tcp", "127.0.0.1:0"))
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }()
		}
	}()
	var wait sync.WaitGroup
	var total int64
	for n := 0; n < 50; n++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			conn := must(net.Dial("tcp", listener.Addr().String())).(*net.TCPConn)
			go func() { conn.Write(make([]byte, 200000)); conn.CloseWrite() }()
			atomic.AddInt64(&total, must(io.Copy(io.Discard, conn)))
			conn.Close()
		}()
	}
	wait.Wait()
	fmt.Println(total)
	idle := must(net.Dial("tcp", listener.Addr().String()))
	idle.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := idle.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	idle.Close()
	listener.Close()
	_, err = net.Dial("tcp", listener.Addr().String())
	fmt.Println(errors.Is(err, syscall.ECONNREFUSED))
	packets := must(net.ListenPacket("udp", "[::1]:0"))
	sender := must(net.Dial("udp", packets.LocalAddr().String()))
	sender.Write([]byte("datagram"))
	buffer := make([]byte, 100)
	count, _, err := packets.ReadFrom(buffer)
	fmt.Println(string(buffer[:count]), err)
	unix := must(net.Listen("unix", "socket"))
	go func() { conn := must(unix.Accept()); fmt.Fprintln(conn, "over unix"); conn.Close() }()
	fmt.Print(string(must(io.ReadAll(must(net.Dial("unix", "socket"))))))
	unix.Close()
	rpc.Register(new(Arith))
	left, right := net.Pipe()
	go rpc.ServeConn(left)
	var product int
	check(rpc.NewClient(right).Call("Arith.Multiply", [2]int{6, 7}, &product))
	fmt.Println(product, must(net.LookupPort("tcp", "http")))
}

// Arith is a service.
type Arith int

// Multiply multiplies two numbers.
func (*Arith) Multiply(numbers [2]int, product *int) error {
	*product = numbers[0] * numbers[1]
	return nil
}

func web() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/7" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.Copy(w, r.Body)
	}))
	defer server.Close()
	var wait sync.WaitGroup
	answers := make([]string, 40)
	for n := range answers {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			body := strings.NewReader(strings.Repeat("g", n*1000))
			response := must(http.Post(fmt.Sprint(server.URL, "/", n), "text/plain", body))
			answers[n] = fmt.Sprint(response.StatusCode, len(must(io.ReadAll(response.Body))))
			response.Body.Close()
		}(n)
	}
	wait.Wait()
	fmt.Println(answers)
}

func processes() {
	command := exec.Command("sh", "-c", "cat; echo problem >&2; exit 6")
	command.Stdin = strings.NewReader("through\n")
	output, err := command.CombinedOutput()
	fmt.Print(string(output))
	fmt.Println(err)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fmt.Println(exec.CommandContext(ctx, "sleep", "100").Run())
	var wait sync.WaitGroup
	results := make([]string, 20)
	for n := range results {
		wait.Add(1)
		go func(n int) {
			defer wait.Done()
			results[n] = strings.TrimSpace(string(must(exec.Command("echo", fmt.Sprint(n)).Output())))
		}(n)
	}
	wait.Wait()
	fmt.Println(results)
	fmt.Println(exec.Command("/nowhere").Run())
	group := exec.Command("sh", "-c", "ps -o pgid= $$; exec sleep 100")
	group.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	pipe := must(group.StdoutPipe())
	check(group.Start())
	line := must(bufio.NewReader(pipe).ReadString('\n'))
	fmt.Println(strings.TrimSpace(line) == fmt.Sprint(group.Process.Pid))
	check(syscall.Kill(-group.Process.Pid, syscall.SIGTERM))
	fmt.Println(group.Wait())
	fmt.Println(must(user.Current()).Username, must(os.Hostname()) != "")
}

func files() {
	check(os.MkdirAll("a/b/c", 0o755))
	for n := 0; n < 50; n++ {
		check(os.WriteFile(fmt.Sprint("a/b/f", n), bytes.Repeat([]byte("z"), n), 0o640))
	}
	var size int64
	check(filepath.WalkDir("a", func(_ string, entry fs.DirEntry, _ error) error {
		if info := must(entry.Info()); info.Mode().IsRegular() {
			size += info.Size()
		}
		return nil
	}))
	fmt.Println(size)
	check(os.Rename("a/b/f9", "moved"))
	check(os.Symlink("moved", "soft"))
	check(os.Chtimes("moved", time.Unix(1000, 0), time.Unix(2000, 5)))
	info := must(os.Stat("soft"))
	fmt.Println(info.Mode(), info.Size(), info.ModTime().UnixNano(), must(os.Readlink("soft")))
	file := must(os.Create("copied"))
	fmt.Println(must(io.Copy(file, must(os.Open("moved")))), must(file.Seek(0, io.SeekEnd)))
	check(file.Truncate(1 << 20))
	check(file.Sync())
	fmt.Printf("%x\n", sha256.Sum256(must(os.ReadFile("copied"))))
	_, err := os.OpenFile("copied", os.O_CREATE|os.O_EXCL, 0o600)
	fmt.Println(err)
	fmt.Println(os.Remove("a"))
	check(os.RemoveAll("a"))
	read, write, err := os.Pipe()
	check(err)
	read.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = read.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	go func() { fmt.Fprintln(write, "pipe"); write.Close() }()
	read.SetReadDeadline(time.Time{})
	fmt.Print(string(must(io.ReadAll(read))))
	names := []string{}
	for _, entry := range must(os.ReadDir(".")) {
		names = append(names, entry.Name())
	}
	sort.Strings(names)
	fmt.Println(names)
}

func main() {
	check(os.Chdir(must(os.MkdirTemp("", "go"))))
	parts := []struct {
		name string
		run  func()
	}{
		{"goroutines", goroutines}, {"timers", timers}, {"signals", signals}, {"memory", memory},
		{"network", network}, {"http", web}, {"processes", processes}, {"files", files},
	}
	for _, part := range parts {
		fmt.Println("==", part.name)
		part.run()
	}
	os.Exit(3)
}
