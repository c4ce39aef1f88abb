/**
 * One contestant or peer of the bench as a process of its own:
 * `node bench/contestant.ts KIND UPSTREAM PORT`. It prints `listening <origin>` when it serves.
 * Each kind is imported only when it runs, so that no process carries another's modules.
 */
const [kind, upstream = '', portText = '0'] = process.argv.slice(2);
const origin = await start(kind, Number(portText));
process.stdout.write(`listening ${origin}\n`);

// The harness holds our standard input open for as long as it lives: when it dies, so do we.
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();

async function start(name: string | undefined, port: number): Promise<string> {
  switch (name) {
    case 'echo-agent-message':
    case 'echo-agent-task': {
      const { startEchoAgent } = await import('./peers/echo-agent.ts');
      return (await startEchoAgent(name === 'echo-agent-task' ? 'task' : 'message', port)).origin;
    }
    case 'echo-server': {
      const { startEchoServer } = await import('./peers/echo-server.ts');
      return (await startEchoServer(port)).origin;
    }
    case 'floor-agent-as-tool': {
      const { startFloorAgentAsTool } = await import('./floor/agent-as-tool.ts');
      return (await startFloorAgentAsTool(upstream, port)).origin;
    }
    case 'floor-tool-as-agent': {
      const { startFloorToolAsAgent } = await import('./floor/tool-as-agent.ts');
      return (await startFloorToolAsAgent(upstream, port)).origin;
    }
    case 'obvious-agent-as-tool': {
      const { startObviousAgentAsTool } = await import('./obvious/agent-as-tool.ts');
      return (await startObviousAgentAsTool(upstream, port)).origin;
    }
    case 'obvious-tool-as-agent': {
      const { startObviousToolAsAgent } = await import('./obvious/tool-as-agent.ts');
      return (await startObviousToolAsAgent(upstream, port)).origin;
    }
    case 'mcp-proxy': {
      const { startMcpProxy } = await import('./proxy/http-upstream.ts');
      return startMcpProxy(upstream, port);
    }
    default:
      throw new Error(`no contestant is called ${String(name)}`);
  }
}
