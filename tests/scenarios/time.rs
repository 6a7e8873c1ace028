// SPDX-License-Identifier: Apache-2.0
//! Clocks: the wall's may jump, the monotonic one only goes on.

use tracegate_tests::world::{World, answers, get, ms, secs};

use crate::{NEW_POLICY, PARENT, POLICY};

#[test]
fn a_wall_clock_that_jumps_back_an_hour_and_forward_a_day_changes_nothing() {
    let course = |jumps: bool| {
        let mut world = World::new(POLICY).beyond_modules().with_upstream(answers(200).after(secs(2)));
        let send = |world: &mut World| {
            world.send(get("/orders").with("traceparent", PARENT));
            world.send(get("/trial"));
            world.send(get("/admin"));
            world.advance(ms(900));
        };
        send(&mut world);
        if jumps {
            world.wall_jumps_back(secs(3_600));
        }
        send(&mut world);
        world.configure(NEW_POLICY);
        if jumps {
            world.wall_jumps_forward(secs(86_400));
        }
        send(&mut world);
        if jumps {
            // Before 1970.
            world.wall_jumps_back(secs(100 * 365 * 86_400));
        }
        send(&mut world);
        world.finish();
        assert_eq!(world.outcomes().filter(|(_, outcome)| outcome.client().is_some()).count(), 12);
        world.journal().to_owned()
    };
    assert_eq!(course(false), course(true));
}

#[test]
fn ticks_come_every_second_and_keep_no_world_from_being_idle() {
    let mut world = World::new(POLICY);
    world.run_until_idle();
    assert_eq!(world.elapsed(), secs(0));
    world.step();
    assert_eq!(world.elapsed(), secs(1));
    world.advance(ms(1_500));
    assert_eq!(world.elapsed(), ms(2_500));
    world.step();
    assert_eq!(world.elapsed(), secs(3));
}

#[test]
#[should_panic(expected = "are not over after 100000 steps")]
fn a_course_without_end_is_stopped() {
    World::new(POLICY).advance(secs(1_000_000));
}

#[test]
#[should_panic(expected = "the world is not idle after 100000 steps")]
fn a_world_that_never_rests_is_stopped() {
    let mut world = World::new(POLICY);
    world.send_after(secs(1_000_000), get("/orders"));
    world.run_until_idle();
}
