import { describe, expect, it } from 'vitest';
import { createEventLog, type BusinessEvent } from './events.ts';
import { createLogger } from './log.ts';
import { createMetrics } from './metrics.ts';

function record(...events: BusinessEvent[]) {
  const lines: Record<string, unknown>[] = [];
  const destination = {
    write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>),
  };
  const metrics = createMetrics({ runtime: false });
  const log = createEventLog(createLogger({ level: 'debug', destination }), metrics);
  for (const event of events) log.emit(event);
  return { lines, metrics };
}

async function samples(metrics: ReturnType<typeof createMetrics>): Promise<string[]> {
  const { text } = await metrics.expose();
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

describe('a business fact', () => {
  it('is one line of the log under its name', () => {
    const { lines } = record({
      event: 'task.created',
      taskId: 't1',
      peer: 'travel',
      principal: 'local/anonymous',
      state: 'TASK_STATE_WORKING',
    });
    expect(lines).toEqual([
      {
        level: 'info',
        time: expect.any(String),
        event: 'task.created',
        taskId: 't1',
        peer: 'travel',
        principal: 'local/anonymous',
        state: 'TASK_STATE_WORKING',
        msg: 'task.created',
      },
    ]);
  });

  it('that needs attention is a warning', () => {
    const { lines } = record(
      { event: 'egress.refused', host: '10.0.0.1', reason: 'address' },
      { event: 'config.rejected', mistakes: [{ path: 'log.level', message: 'expected info' }] },
    );
    expect(lines.map(({ level }) => level)).toEqual(['warn', 'error']);
  });

  it('is counted', async () => {
    const at = { taskId: 't1', peer: 'travel', key: 'k' };
    const { metrics } = record(
      { event: 'task.created', taskId: 't1', peer: 'travel', principal: 'p', state: 'WORKING' },
      { event: 'task.transition', taskId: 't1', peer: 'travel', from: 'WORKING', to: 'COMPLETED' },
      { event: 'peer.call', peer: 'travel', operation: 'send', outcome: 'ok', durationMs: 30 },
      { event: 'interrupt.opened', ...at, mode: 'form' },
      { event: 'interrupt.opened', ...at, key: 'k2', mode: 'url' },
      { event: 'interrupt.answered', ...at },
      { event: 'egress.refused', host: 'x', reason: 'redirect' },
      { event: 'stream.closed_slow', face: 'a2a', queued: 256 },
      { event: 'config.reloaded', peers: 2 },
      { event: 'recovery.task', taskId: 't1', peer: 'travel', outcome: 'followed' },
    );
    expect(await samples(metrics)).toEqual(
      expect.arrayContaining([
        'isthmus_task_transitions_total{from="none",to="WORKING"} 1',
        'isthmus_task_transitions_total{from="WORKING",to="COMPLETED"} 1',
        'isthmus_peer_call_duration_seconds_bucket{le="0.025",peer="travel",outcome="ok"} 0',
        'isthmus_peer_call_duration_seconds_bucket{le="0.05",peer="travel",outcome="ok"} 1',
        'isthmus_open_interrupts 1',
        'isthmus_egress_refused_total{reason="redirect"} 1',
        'isthmus_streams_closed_slow_total{face="a2a"} 1',
        'isthmus_config_reloads_total{outcome="applied"} 1',
        'isthmus_recovered_tasks_total{outcome="followed"} 1',
      ]),
    );
  });
});

describe('metrics', () => {
  it('count requests, streams and flushes', async () => {
    const metrics = createMetrics({ runtime: false });
    metrics.request({ face: 'mcp', method: 'tools/call', outcome: 'ok', seconds: 0.002 });
    const close = metrics.streamOpened('a2a');
    metrics.streamOpened('a2a');
    close();
    close();
    metrics.storeFlush({ seconds: 0.003, appends: 12 });
    expect(await samples(metrics)).toEqual(
      expect.arrayContaining([
        'isthmus_request_duration_seconds_count{face="mcp",method="tools/call",outcome="ok"} 1',
        'isthmus_open_streams{face="a2a"} 1',
        'isthmus_store_flush_duration_seconds_count 1',
        'isthmus_store_appends_total 12',
      ]),
    );
  });

  it('do not grow with what clients invent', async () => {
    const metrics = createMetrics({ runtime: false });
    for (let i = 0; i < 500; i += 1) {
      metrics.request({ face: 'mcp', method: `invented/${i}`, outcome: 'error', seconds: 0 });
    }
    const counts = (await samples(metrics)).filter((line) => line.includes('_seconds_count{'));
    expect(counts).toHaveLength(65);
    expect(counts).toContain(
      'isthmus_request_duration_seconds_count{face="mcp",method="other",outcome="error"} 436',
    );
  });

  it('of two gateways in one process are apart', async () => {
    const [a, b] = [createMetrics({ runtime: false }), createMetrics({ runtime: true })];
    a.egressRefused('address');
    expect((await b.expose()).text).not.toContain('reason="address"');
    expect((await b.expose()).text).toContain('process_resident_memory_bytes');
    expect((await b.expose()).contentType).toMatch(/^text\/plain/);
  });
});
