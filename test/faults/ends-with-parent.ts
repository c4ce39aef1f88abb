/**
 * Loaded into a child process before its program: ends it when whoever started it is gone, also
 * when that was killed. The starter holds the other end of stdin. A kill, because an orderly exit
 * can itself get stuck.
 */
const end = (): void => void process.kill(process.pid, 'SIGKILL');
process.stdin.once('end', end);
process.stdin.once('error', end);
process.stdin.resume();
process.stdin.unref();
