import { describe, expect, it } from 'vitest';
import { SteeredClock } from '../../src/pipeline/steered-clock.js';

const ms = (n: number) => n * 1e6;

/** Wakes at every multiple of ten milliseconds, and notes when it was. */
function metronome(clock: SteeredClock): number[] {
  const woken: number[] = [];
  const arm = (at: number) =>
    clock.wakeAt(at, () => {
      woken.push(clock.now() / 1e6);
      arm(at + ms(10));
    });
  arm(ms(10));
  return woken;
}

const turns = async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('SteeredClock', () => {
  it('stands until it is advanced, and stops where it was told to', async () => {
    const clock = new SteeredClock();
    const woken = metronome(clock);
    await turns();
    expect(woken).toEqual([]);
    await clock.advanceTo(ms(35));
    expect(woken).toEqual([10, 20, 30]);
    expect(clock.now()).toBe(ms(35));
    await turns();
    expect(woken).toEqual([10, 20, 30]);
    clock.close();
  });

  it('follows the wall at its speed, event by event', async () => {
    let wall = 0;
    const clock = new SteeredClock(() => wall);
    const woken = metronome(clock);
    clock.setSpeed(2);
    wall = 12;
    clock.release();
    await turns();
    expect(woken).toEqual([10, 20]);
    expect(clock.now()).toBe(ms(24));
    clock.setSpeed(1);
    wall = 18;
    clock.release();
    await turns();
    expect(woken).toEqual([10, 20, 30]);
    expect(clock.now()).toBe(ms(30));
    clock.close();
  });

  it('loses no event while it is held, and no time while it is paused', async () => {
    let wall = 0;
    const clock = new SteeredClock(() => wall);
    const woken = metronome(clock);
    clock.setSpeed(1);
    clock.hold();
    wall = 25;
    await turns();
    expect(woken).toEqual([]);
    clock.release();
    await turns();
    expect(woken).toEqual([10, 20]);
    clock.pause();
    wall = 1000;
    await turns();
    expect(clock.now()).toBe(ms(25));
    clock.resume();
    wall = 1006;
    clock.release();
    await turns();
    expect(woken).toEqual([10, 20, 30]);
    clock.close();
  });

  it('is idle when nothing is going to happen', async () => {
    const clock = new SteeredClock();
    let numLeft = 1000;
    const arm = (at: number) =>
      clock.wakeAt(at, () => (--numLeft > 0 ? arm(at + 1) : clock.sleep()));
    arm(1);
    clock.setSpeed(Infinity);
    await clock.idle();
    expect(numLeft).toBe(0);
    expect(clock.now()).toBe(1000);
  });
});
