import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { normaliseArgv } from '../../src/cli/argv.js';
import { COMMANDS } from '../../src/cli/commands/index.js';
import { cli } from './run-cli.js';

describe('help', () => {
  it.each(['', 'help', '--help', '-h'])('names every command: "%s"', async (line) => {
    const { code, out } = await cli(line);
    expect(code).toBe(0);
    for (const { name, about } of COMMANDS) expect(out).toMatch(new RegExp(`${name} +${about}`));
  });

  it.each(COMMANDS.map(({ name }) => name))('explains %s', async (name) => {
    const [long, short] = await Promise.all([cli(`help ${name}`), cli(`${name} --help`)]);
    expect(long.code).toBe(0);
    expect(long.out).toContain(`Usage: llmservingsim ${name}`);
    expect(short.out).toBe(long.out);
  });

  it('says the version', async () => {
    expect((await cli('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('lists', () => {
  it('has the models and the hardware of the requirements', async () => {
    const models = (await cli('list-models')).out;
    for (const name of ['qwen/Qwen3-8B', 'meta-llama/Llama-3.1-8B-Instruct', 'facebook/opt-6.7b']) {
      expect(models).toContain(name);
    }
    const gpus = JSON.parse((await cli('list-hardware --json')).out) as { name: string }[];
    const names = gpus.map(({ name }) => name);
    const wanted = 'H100 A100 L40 RTX4090 A6000 A40 RTX4080 RTX3090 A10 V100 T4'.split(' ');
    expect(names).toEqual(expect.arrayContaining(wanted));
  });
});

describe('flags', () => {
  it('are the same with _ and -, in short and with =', () => {
    expect(
      normaliseArgv(['--npu_num=2', '--model_name', 'a_b', '-tp', '4', '-pp=2', '--x=a_b', '-1']),
    ).toEqual([
      ...['--npu-num=2', '--model-name', 'a_b', '--tensor-parallel-size', '4'],
      ...['--pipeline-parallel-size=2', '--x=a_b', '-1'],
    ]);
  });
});

describe('launcher', () => {
  const launch = (prepare: (folder: string) => void) => {
    const folder = mkdtempSync(join(tmpdir(), 'launcher-'));
    mkdirSync(join(folder, 'src/cli'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    copyFileSync('src/cli/bin.js', join(folder, 'src/cli/bin.js'));
    prepare(folder);
    const said = spawnSync(process.execPath, [join(folder, 'src/cli/bin.js')], {
      encoding: 'utf8',
    });
    rmSync(folder, { recursive: true });
    return said;
  };

  it('says so when it is not built', () => {
    const { status, stderr } = launch(() => {});
    expect(status).toBe(1);
    expect(stderr).toBe(
      'llmservingsim is not built yet. Run `npm run build` first (`npm ci` does).\n',
    );
  });

  it('runs what was built', () => {
    const { status, stdout } = launch((folder) => {
      mkdirSync(join(folder, 'dist/cli'), { recursive: true });
      const main = "export const main = () => console.log('built');";
      writeFileSync(join(folder, 'dist/cli/main.js'), main);
    });
    expect([status, stdout]).toEqual([0, 'built\n']);
  });
});
