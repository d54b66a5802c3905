# Ruby's threads, processes, sockets and standard library over the system.
require 'digest'
require 'drb'
require 'etc'
require 'fileutils'
require 'find'
require 'io/console'
require 'io/nonblock'
require 'io/wait'
require 'json'
require 'monitor'
require 'net/http'
require 'open3'
require 'pstore'
require 'pty'
require 'socket'
require 'tempfile'
require 'timeout'
require 'tmpdir'
require 'yaml'
require 'zlib'

$stdout.sync = true
Dir.chdir(Dir.mktmpdir)

def section(name) = puts("== #{name}")

section 'threads'
queue, results = Queue.new, Queue.new
workers = 4.times.map { Thread.new { while (n = queue.pop) != :end do results << n * n end } }
500.times { |n| queue << n }
4.times { queue << :end }
workers.each(&:join)
puts 500.times.sum { results.pop }
lock, condition, turn, order = Mutex.new, ConditionVariable.new, 0, []
3.times.map do |me|
  Thread.new do
    20.times do
      lock.synchronize do
        condition.wait(lock) until turn % 3 == me
        order << me
        turn += 1
        condition.broadcast
      end
    end
  end
end.each(&:join)
puts order.join
puts 200.times.map { |n| Thread.new { Thread.pass; sleep 0.01; n } }.sum(&:value)
sized = SizedQueue.new(2)
producer = Thread.new { 50.times { |n| sized << n }; sized.close }
puts sized.size <= 2, [].tap { |all| while (n = sized.pop) do all << n end }.size
producer.join
begin
  Timeout.timeout(0.05) { sleep }
rescue Timeout::Error => e
  puts e.class
end
killed = Thread.new { sleep }
killed.kill.join
puts killed.alive?
puts Thread.new { Thread.current.report_on_exception = false; raise IOError, 'from a thread' }.join rescue puts $!.message
ractor = Ractor.new { Ractor.receive.sum } rescue nil
ractor.send((1..100).to_a)
puts ractor.take
fiber = Enumerator.new { |y| 3.times { |n| y << n } }
puts [fiber.next, fiber.next, fiber.next].inspect

section 'processes'
pids = 10.times.map { |n| fork { exit! n } }
puts pids.map { |pid| Process.wait2(pid)[1].exitstatus }.inspect
pid = fork { Signal.trap('TERM') { exit! 7 }; Process.kill(:STOP, $$); sleep }
_, status = Process.wait2(pid, Process::WUNTRACED)
puts status.stopped?, status.stopsig == Signal.list['STOP']
Process.kill(:CONT, pid)
Process.kill(:TERM, pid)
puts Process.wait2(pid)[1].exitstatus
out, err, status = Open3.capture3('cat; echo problem >&2; exit 3', stdin_data: 'data')
puts [out, err, status.exitstatus].inspect
puts Open3.pipeline_r('seq 100', 'grep 9', 'wc -l') { |o, _| o.read.strip }
puts IO.popen(%w[tr a-z A-Z], 'r+') { |io| io.write 'popen'; io.close_write; io.read }
puts spawn('exit 4', pgroup: true).then { |child| Process.wait2(child)[1].exitstatus }
puts `ulimit -n 64; echo back; exit 2`, $?.exitstatus
read, write = IO.pipe
fork { read.close; Marshal.dump({ list: [1, 2.5, :symbol] }, write); exit! 0 }
write.close
puts Marshal.load(read).inspect
Process.wait
puts Process.waitall.inspect
daemon = fork { Process.setsid; exit!(Process.getpgrp == $$ ? 0 : 1) }
puts Process.wait2(daemon)[1].success?
puts system('no such program').inspect
puts (begin; exec('/nowhere/at/all'); rescue SystemCallError => e; e.class; end)
puts Process.clock_gettime(Process::CLOCK_MONOTONIC).positive?, Process.getrlimit(:NOFILE).size
PTY.spawn('tty >/dev/null && stty size && echo on a terminal') { |o, _, pid| puts o.gets, o.gets; Process.wait(pid) }

section 'signals'
seen = Queue.new
%w[USR1 USR2 HUP].each { |name| trap(name) { seen << name } }
%w[USR1 USR2 HUP].each { |name| Process.kill(name, $$); puts seen.pop }
trap('CHLD') { seen << 'child' }
Process.wait(fork { exit! })
puts seen.pop
trap('CHLD', 'DEFAULT')
begin
  Thread.new(Thread.current) { |main| sleep 0.05; Process.kill(:INT, $$) }
  sleep 10
rescue Interrupt
  puts 'interrupted'
end
pid = fork { trap('TERM', 'SYSTEM_DEFAULT'); sleep }
sleep 0.05
Process.kill(:TERM, pid)
puts Process.wait2(pid)[1].termsig

section 'sockets'
server = TCPServer.new('127.0.0.1', 0)
port = server.addr[1]
serving = Thread.new { 10.times.map { Thread.new(server.accept) { |s| s.write(s.read.upcase); s.close } }.each(&:join) }
answers = 10.times.map do |n|
  Thread.new { TCPSocket.open('127.0.0.1', port) { |s| s.write("client #{n}" * 1000); s.close_write; s.read.size } }
end
puts answers.sum(&:value)
serving.join
server.close
puts (TCPSocket.new('127.0.0.1', port) rescue $!.class)
UNIXServer.open('unix') do |unix|
  child = fork { UNIXSocket.open('unix') { |s| s.send_io(File.open('/etc/passwd')); s.puts 'sent' }; exit! }
  accepted = unix.accept
  puts accepted.recv_io.gets, accepted.gets
  Process.wait(child)
end
one, two = UDPSocket.new, UDPSocket.new
one.bind('127.0.0.1', 0)
two.send('datagram', 0, '127.0.0.1', one.addr[1])
puts one.recvfrom(100)[0], one.recvfrom_nonblock(10, exception: false)
left, right = Socket.pair(:UNIX, :SEQPACKET)
left.send('packet', 0)
puts IO.select([right], [left], nil, 1).map(&:size).inspect, right.recv(100)
web = TCPServer.new('::1', 0)
Thread.new do
  loop do
    Thread.new(web.accept) do |s|
      line = s.gets
      nil while s.gets != "\r\n"
      s.write "HTTP/1.1 200 OK\r\nContent-Length: #{line.size}\r\nConnection: close\r\n\r\n#{line}"
      s.close
    end
  end
end
puts Net::HTTP.get(URI("http://[::1]:#{web.addr[1]}/path?query"))
DRb.start_service('druby://127.0.0.1:0', [3, 1, 2])
puts DRbObject.new_with_uri(DRb.uri).sort.inspect

section 'files'
FileUtils.mkdir_p('a/b/c')
3.times { |n| File.write("a/b/f#{n}", 'x' * n * 1000) }
puts Find.find('a').sort.join(' '), Dir.glob('a/**/*').size
FileUtils.cp_r('a', 'copy')
FileUtils.mv('copy/b/f1', 'moved')
File.symlink('moved', 'soft')
File.chmod(0o4711, 'moved')
puts File.stat('moved').size, File.stat('moved').mode.to_s(8), File.readlink('soft'), File.lstat('soft').ftype
File.open('locked', 'w') { |f| f.flock(File::LOCK_EX); puts `flock -n locked echo got || echo busy` }
store = PStore.new('store')
store.transaction { store[:key] = [1, 2] }
puts store.transaction(true) { store[:key] }.inspect
Tempfile.create { |f| f.write('temporary'); f.rewind; puts f.read }
Zlib::GzipWriter.open('data.gz') { |z| 20_000.times { |n| z.puts n } }
puts Digest::SHA256.hexdigest(`zcat data.gz`), Zlib::GzipReader.open('data.gz', &:readlines).size
puts IO.copy_stream('data.gz', 'again'), File.identical?('data.gz', 'again')
puts JSON.parse(JSON.generate(a: [1, nil, 'x'])).inspect, YAML.load("a: [1, 2]").inspect
FileUtils.rm_rf('a')
puts File.exist?('a'), Etc.getpwuid(0).name, Etc.nprocessors.positive?

section 'memory'
200_000.times.map { |n| "string #{n}" }.then { |all| puts all.sum(&:size) }
GC.start
GC.compact
puts 'end'
